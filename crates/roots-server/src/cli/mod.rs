//! What the command line says: the settings, and the commands besides `serve`.

pub(crate) mod arguments;
pub(crate) mod commands;
mod raw_settings;
pub(crate) mod settings;
