//! Request methods (RFC 9110 section 9, RFC 5789).

use core::fmt;

/// A request method that the server knows. Names are case-sensitive; any other name is answered 501.
///
/// CONNECT is not among them: it is for proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Method {
    /// GET: send the resource.
    Get,
    /// HEAD: as GET, without the body.
    Head,
    /// POST: process the body.
    Post,
    /// PUT: create or replace the resource.
    Put,
    /// DELETE: remove the resource.
    Delete,
    /// PATCH: change the resource in part.
    Patch,
    /// OPTIONS: tell what is possible.
    Options,
    /// TRACE: send the request back.
    Trace,
}

impl Method {
    /// All of them, in the order in which `Allow` lists them.
    pub const ALL: [Self; 8] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete, Self::Patch, Self::Options, Self::Trace];

    /// The method of this name, as it stands in a request line.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str().as_bytes() == name)
    }

    /// Its name, in capitals.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
        }
    }

    /// Whether a request of this method only reads (RFC 9110 section 9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether the same request twice has the effect of one, so that it may be sent again (RFC 9110 section 9.2.2).
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of methods. `Display` writes it as the value of an `Allow` field: `GET, HEAD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Methods(u8);

impl Methods {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// The set of these methods.
    pub const fn of(methods: &[Method]) -> Self {
        let mut set = Self::NONE;
        let mut i = 0;
        while i < methods.len() {
            set = set.with(methods[i]);
            i += 1;
        }
        set
    }

    /// The set with one method more.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | method.bit())
    }

    /// The methods that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the method is in the set.
    pub const fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// Whether no method is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The methods of the set, in the order of [`Method::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |&method| self.contains(method))
    }
}

impl From<Method> for Methods {
    fn from(method: Method) -> Self {
        Self::NONE.with(method)
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, method) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(method.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_method_is_found_by_its_name_in_capitals_only() {
        for method in Method::ALL {
            assert_eq!(Method::from_name(method.as_str().as_bytes()), Some(method));
            assert_eq!(Method::from_name(method.as_str().to_ascii_lowercase().as_bytes()), None);
        }
        for name in ["", "G", "GETS", "CONNECT", "PRI", "Get", "GET "] {
            assert_eq!(Method::from_name(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn a_set_is_written_as_the_value_of_allow() {
        const READ: Methods = Methods::of(&[Method::Head, Method::Get]);
        assert_eq!(READ.to_string(), "GET, HEAD");
        assert_eq!(Methods::NONE.to_string(), "");
        assert_eq!(Methods::of(&Method::ALL).to_string(), "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, TRACE");
        assert_eq!(READ.union(Method::Post.into()).to_string(), "GET, HEAD, POST");
        assert!(READ.contains(Method::Get) && !READ.contains(Method::Post));
        assert!(Methods::NONE.is_empty() && !READ.is_empty());
    }
}
