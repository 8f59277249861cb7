//! The command line: the settings, and the commands other than `serve`.

pub(crate) mod arguments;
pub(crate) mod commands;
mod raw_settings;
pub(crate) mod settings;
