//! Which records somebody asks for: the answers to a question, and where it follows them, what they lead to.

use domain::base::Rtype;
use net_core::time::Instant;

use super::cache::{Cache, Cached};
use super::name;
use super::questions::Questions;

/// The types that a record leads to, of the name in its data (RFC 6763 sections 4 and 5).
pub(super) fn led_to(rtype: Rtype) -> [Rtype; 2] {
    match rtype {
        Rtype::PTR => [Rtype::SRV, Rtype::TXT],
        _ => [Rtype::A, Rtype::AAAA],
    }
}

impl Cached<'_> {
    /// Whether this is a lead to that name and type. An NSEC record may be where it leads as well.
    fn leads_to(&self, name: &[u8], rtype: Rtype) -> bool {
        let about = self.about();
        about.is_lead()
            && (rtype == Rtype::NSEC || led_to(about.rtype).contains(&rtype))
            && self.target().is_some_and(|target| name::eq(target, name))
    }
}

impl Cache<'_> {
    /// Whether somebody wants a record of that name and type; and whether what it leads to as well.
    pub(super) fn interest(&self, questions: &Questions<'_>, name: &[u8], rtype: Rtype) -> (bool, bool) {
        match questions.interest(name, rtype) {
            (_, true) => (true, true),
            (_, false) if self.iter().any(|lead| lead.leads_to(name, rtype)) => (true, true),
            direct => direct,
        }
    }

    /// A lead has come, or become one: what it leads to is wanted now, and looked for if it is not here.
    pub(super) fn follow(&self, now: Instant, lead: &Cached<'_>) {
        if !lead.about().is_lead() {
            return;
        }
        lead.change(|about| about.seek(now));
        self.mark_below(lead, |record| self.follow(now, record));
    }

    /// Marks what a lead leads to as wanted, and shows it, but for what is a lead already.
    fn mark_below(&self, lead: &Cached<'_>, mut found: impl FnMut(&Cached<'_>)) {
        for record in self.iter() {
            let about = record.about();
            if !about.is_lead() && lead.leads_to(record.name, about.rtype) {
                record.set_interest(true, true);
                found(&record);
            }
        }
    }

    /// Finds out anew what is wanted: questions have changed, or leads have gone. Leads that have rested look again at what
    /// they lead to.
    pub(super) fn review(&self, now: Instant, questions: &Questions<'_>) {
        for record in self.iter() {
            let (wanted, follow) = questions.interest(record.name, record.about().rtype);
            record.set_interest(wanted, follow);
        }
        for rtype in [Rtype::PTR, Rtype::SRV] {
            for lead in self.iter().filter(|lead| lead.about().rtype == rtype && lead.about().is_lead()) {
                self.mark_below(&lead, |_| {});
            }
        }
        for record in self.iter() {
            record.change(|about| if about.is_lead() { about.seek(now) } else { about.leave() });
        }
    }
}
