//! Rules of the chain as enums whose versions are known by name.

/// A rule of the chain with several versions.
pub trait RuleVersion: Copy + PartialEq + 'static {
    /// All versions, oldest first.
    const ALL: &[Self];

    /// Name of the version in scenarios and tables.
    fn name(self) -> &'static str;

    /// The version of that name, if there is one.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.name() == name)
    }
}

/// Declares the versions of one rule, oldest first; a version's name is its identifier.
macro_rules! rule_versions {
    ($(#[$doc:meta])* pub enum $rule:ident { $($(#[$version_doc:meta])* $version:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $rule { $($(#[$version_doc])* $version,)+ }

        impl $crate::protocol::rule_names::RuleVersion for $rule {
            const ALL: &[Self] = &[$(Self::$version,)+];

            fn name(self) -> &'static str {
                match self { $(Self::$version => stringify!($version),)+ }
            }
        }
    };
}
pub(crate) use rule_versions;
