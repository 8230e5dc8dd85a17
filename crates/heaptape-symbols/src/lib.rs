//! heaptape-symbols (under construction).
