//! The command lines that record, black box: `heaptape run` and `doctor`, and those of vizzy and crunch as
//! their READMEs show them.

mod seeds;
