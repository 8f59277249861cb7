//! The setting of the pages.

/// Whether and how the pages are served (`ROOTS_DASHBOARD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dashboard {
    /// They are served, over HTTPS or on this machine.
    #[default]
    On,
    /// They are not served: their paths are 404.
    Off,
    /// They are served over plain HTTP to other machines too, where anyone on the way can read the
    /// keys and the cookies.
    Plain,
}

impl Dashboard {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::On, Self::Off, Self::Plain];

    /// Its name in the setting.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Plain => "plain",
        }
    }

    /// The value of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }
}
