//! The vocabulary of usage rights (rules 138 and 139).
//!
//! Rights are names. The known ones have a fixed spelling in documents and a common name that administrators see; a name that
//! is not known is somebody's own right and is kept as it stands.

use std::fmt;

/// A right to use protected content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum UsageRight {
    /// Open and read.
    View,
    /// Save changes.
    Edit,
    /// Change the content in the application.
    DocEdit,
    /// Copy content out.
    Extract,
    /// Use macros and the object model.
    ObjModel,
    /// Save under another name or format, also without protection.
    Export,
    /// Print.
    Print,
    /// Every right.
    Owner,
    /// Forward a message.
    Forward,
    /// Answer the sender.
    Reply,
    /// Answer the sender and all recipients.
    ReplyAll,
    /// See who has which right.
    ViewRightsData,
    /// Change who has which right.
    EditRightsData,
    /// Comment. Not in templates of AD RMS.
    Comment,
    /// A right that is not known, as it is written.
    Other(String),
}

/// Right, name in documents, common name in AD RMS, and whether a rights definition of the new service takes it (rule 138).
const KNOWN: [(UsageRight, &str, &str, bool); 14] = [
    (UsageRight::View, "VIEW", "View", true),
    (UsageRight::Edit, "EDIT", "Save", true),
    (UsageRight::DocEdit, "DOCEDIT", "Edit", true),
    (UsageRight::Extract, "EXTRACT", "Extract", true),
    (UsageRight::ObjModel, "OBJMODEL", "Allow Macros", true),
    (UsageRight::Export, "EXPORT", "Export (Save As)", true),
    (UsageRight::Print, "PRINT", "Print", true),
    (UsageRight::Owner, "OWNER", "Full Control", true),
    (UsageRight::Forward, "FORWARD", "Forward", true),
    (UsageRight::Reply, "REPLY", "Reply", true),
    (UsageRight::ReplyAll, "REPLYALL", "Reply All", true),
    (UsageRight::ViewRightsData, "VIEWRIGHTSDATA", "View Rights", false),
    (UsageRight::EditRightsData, "EDITRIGHTSDATA", "Edit Rights", false),
    (UsageRight::Comment, "COMMENT", "Comment", false),
];

impl UsageRight {
    /// Every right that is known.
    pub fn known() -> impl Iterator<Item = Self> {
        KNOWN.into_iter().map(|(right, ..)| right)
    }

    /// The name in documents, for example `DOCEDIT`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => known.entry().map_or("", |entry| entry.1),
        }
    }

    /// The common name that AD RMS shows, for example `Edit`; the name itself for a right that is not known.
    #[must_use]
    pub fn common_name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => known.entry().map_or("", |entry| entry.2),
        }
    }

    /// Whether a rights definition of the new service takes it (rule 138).
    #[must_use]
    pub fn is_in_rights_definitions(&self) -> bool {
        self.entry().is_some_and(|entry| entry.3)
    }

    fn entry(&self) -> Option<&'static (Self, &'static str, &'static str, bool)> {
        KNOWN.iter().find(|entry| entry.0 == *self)
    }
}

impl From<&str> for UsageRight {
    /// Reads a name in documents, in any case and with blanks around it. Any other text is a right of its own, as it stands.
    fn from(name: &str) -> Self {
        KNOWN.iter().find(|entry| entry.1.eq_ignore_ascii_case(name.trim())).map_or_else(|| Self::Other(name.to_owned()), |entry| entry.0.clone())
    }
}

impl fmt::Display for UsageRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vocabulary_is_that_of_the_rules() {
        let of_rule_138: Vec<_> = UsageRight::known().filter(UsageRight::is_in_rights_definitions).map(|right| right.to_string()).collect();
        let expected = "VIEW, EDIT, DOCEDIT, EXTRACT, OBJMODEL, EXPORT, PRINT, OWNER, FORWARD, REPLY, REPLYALL";
        assert_eq!(of_rule_138.join(", "), expected);
        for (name, common) in [("docedit", "Edit"), ("Edit", "Save"), (" OWNER ", "Full Control"), ("OBJMODEL", "Allow Macros")] {
            assert_eq!(UsageRight::from(name).common_name(), common);
        }
        assert!(!UsageRight::from("FLY").is_in_rights_definitions());
    }

    proptest! {
        #[test]
        fn names_come_back(name in "\\PC{0,12}") {
            let right = UsageRight::from(name.as_str());
            if let UsageRight::Other(kept) = &right {
                prop_assert_eq!(kept, &name);
            }
            prop_assert_eq!(UsageRight::from(right.name()), right.clone());
        }

        #[test]
        fn case_does_not_matter(right in prop::sample::select(UsageRight::known().collect::<Vec<_>>()), flips in prop::collection::vec(any::<bool>(), 20)) {
            let name: String =
                right.name().chars().zip(flips).map(|(letter, flip)| if flip { letter.to_ascii_lowercase() } else { letter }).collect();
            prop_assert_eq!(UsageRight::from(name.as_str()), right);
        }
    }
}
