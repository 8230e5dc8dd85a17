//! heaptape-preload (under construction).
