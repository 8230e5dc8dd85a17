//! heaptape-collector (under construction).
