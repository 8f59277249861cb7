//! Now: whether anything needs a person, and who works on what.

mod cards;
mod needs;
mod page;
mod shown;

pub(crate) use page::show;

#[cfg(test)]
mod tests;
