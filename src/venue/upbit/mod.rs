//! Upbit.
