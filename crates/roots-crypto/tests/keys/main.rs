//! The key hierarchy from outside, as the domain uses it.

#[cfg(test)]
mod forms;
#[cfg(test)]
mod life;
#[cfg(test)]
mod tamper;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod world;
