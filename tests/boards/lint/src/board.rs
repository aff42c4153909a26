//! No board: lets the firmware's other sources be checked for the host.

pub const ICOUNT: &str = "";

pub fn init() {}

pub struct Time;

impl Time {
    pub fn now() -> Time {
        Time
    }

    pub fn instructions_since(&self) -> u64 {
        0
    }
}
