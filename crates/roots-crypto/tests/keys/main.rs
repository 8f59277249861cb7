//! Tests of the key hierarchy through the domain's ports.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod life;
#[cfg(test)]
mod tamper;
#[cfg(test)]
mod vectors;
