//! The walk against libgcc's, in this very process.
