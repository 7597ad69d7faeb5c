//! Addressed random numbers: Philox words, uniforms and normals.
