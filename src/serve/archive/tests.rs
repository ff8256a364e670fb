//! The calendar tells what is known of each hour, as `veritape coverage` does.
