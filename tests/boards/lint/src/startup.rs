//! No start: see `processor`.

use crate::console::{Hex, print};
use crate::{board, semihost};

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    board::init();
    print!(Hex(0));
    semihost::exit(crate::main())
}
