//! heaptape-analysis (under construction).
