//! Rules on small graphs: what the pass makes of them, and that the values stay within one step.
