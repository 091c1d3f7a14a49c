//! For tests: a network of their own.

use nix::sched::{CloneFlags, unshare};

/// Runs `test` on a thread in a new network namespace that has only a loopback interface, which is up. The namespace
/// ends with the thread, however that ends.
///
/// Needs root: without, the test fails where CI runs it (`CI=true`), and says elsewhere that it was skipped.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {
            crate::netlink::Netlink::open().unwrap().set_up(1, true).unwrap();
            test();
        }
        Err(error) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            eprintln!("skipped: a network namespace cannot be made without root ({error})");
        }
        Err(error) => panic!("a network namespace cannot be made: {error}"),
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
