//! heaptape-recorder (under construction).
