//! heaptape-report (under construction).
