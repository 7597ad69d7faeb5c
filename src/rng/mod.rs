//! Addressed random numbers: Philox words, uniforms and normals.
//!
//! A draw has an address (seed, path, step, slot, purpose, index) and no history: it does not depend on what else was
//! drawn, in which order, by which thread or at which vector width.

mod address;
mod inverse_normal;
mod normal;
mod philox;
mod points;
mod sobol;
mod uniform;

pub use address::Address;
pub use address::Purpose;
pub(crate) use address::key;
pub use address::words;
pub use inverse_normal::inverse_normal;
pub use normal::GROUP_SLOTS;
pub use normal::GroupWords;
pub use normal::HalfWords;
pub use normal::SLOT_NORMALS;
pub use normal::box_muller;
pub use normal::group_normals;
pub use normal::group_words;
pub use normal::normals4;
pub use normal::slot_normals;
pub use philox::philox4x32;
pub use philox::philox4x32_lanes;
pub use points::PointSet;
pub use points::Points;
pub use points::REPLICATES;
pub use sobol::SOBOL_DIMENSIONS;
pub use uniform::AddressedRng;
pub use uniform::exponential;
pub use uniform::open_unit;
pub use uniform::open_unit_lanes;
