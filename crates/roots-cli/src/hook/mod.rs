//! `roots hook`: what a program's hooks run when its sessions start and end.

mod brief;
mod input;
mod known;
mod run;
mod session;
mod text;

pub(crate) use run::run;
