//! Runs untrusted work on a thread of its own, with a stack, a heap and processor time of given sizes.
//!
//! Fuel cannot see everything: minijinja writes a list out as text before it counts the bytes, and a
//! list may hold one long string ten thousand times. So the allocator counts what a confined thread
//! holds, and looks at the thread's clock. Who asks for more than there is gets no answer: an allocator may neither unwind nor, in a
//! server, end the process. The thread stops where it stands, for good, with what it holds, and its
//! starter goes on; so the starter must not run the same work again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

const RUNNING: u8 = 0;
const DONE: u8 = 1;
const STOPPED: u8 = 2;

struct Watch {
    state: AtomicU8,
    starter: Thread,
}

impl Watch {
    fn tell(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.starter.unpark();
    }
}

thread_local! {
    static BYTES_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    static END_US: Cell<u64> = const { Cell::new(u64::MAX) };
    static WATCH: Cell<*const Watch> = const { Cell::new(std::ptr::null()) };
}

/// Processor time of this thread.
fn clock_us() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // It cannot fail with a clock that every Linux and macOS has.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

fn take(bytes: usize) {
    let _ = BYTES_LEFT.try_with(|left| {
        if left.get() == usize::MAX {
            return; // not confined
        }
        if END_US.try_with(Cell::get).is_ok_and(|end| clock_us() > end) {
            stop();
        }
        match left.get().checked_sub(bytes) {
            Some(rest) => left.set(rest),
            None => stop(),
        }
    });
}

fn give(bytes: usize) {
    let _ = BYTES_LEFT.try_with(|left| {
        if left.get() != usize::MAX {
            left.set(left.get().saturating_add(bytes).min(usize::MAX - 1));
        }
    });
}

fn stop() -> ! {
    // The pointer is good: this thread holds a reference to what it points to and never drops it.
    let _ = WATCH.try_with(|watch| unsafe { &*watch.get() }.tell(STOPPED));
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        System.alloc(layout)
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        System.alloc_zeroed(layout)
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size); // for a moment both may be there
        let moved = System.realloc(at, layout, size);
        give(layout.size());
        moved
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        give(layout.size());
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

pub struct Room {
    pub stack_bytes: usize,
    pub heap_bytes: usize,
    pub processor_us: u64, // looked at whenever memory is asked for
}

pub enum Failure {
    Stopped,
    NoThread(std::io::Error),
}

/// What `work` gives. A panic in it goes on here.
pub fn run<T: Send + 'static>(
    room: Room,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let watch = Arc::new(Watch { state: AtomicU8::new(RUNNING), starter: std::thread::current() });
    let result = Arc::new(Mutex::new(None));
    let (its_watch, its_result) = (watch.clone(), result.clone());
    let confined = move || {
        WATCH.set(Arc::as_ptr(&its_watch));
        END_US.set(clock_us() + room.processor_us);
        BYTES_LEFT.set(room.heap_bytes);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        BYTES_LEFT.set(usize::MAX);
        if let Ok(mut slot) = its_result.lock() {
            *slot = Some(outcome);
        }
        its_watch.tell(DONE);
    };
    let thread = std::thread::Builder::new()
        .stack_size(room.stack_bytes)
        .spawn(confined)
        .map_err(Failure::NoThread)?;
    while watch.state.load(Ordering::Acquire) == RUNNING {
        std::thread::park();
    }
    if watch.state.load(Ordering::Acquire) == STOPPED {
        return Err(Failure::Stopped);
    }
    let _ = thread.join();
    let outcome = result.lock().ok().and_then(|mut slot| slot.take());
    match outcome {
        Some(Ok(value)) => Ok(value),
        Some(Err(panic)) => std::panic::resume_unwind(panic),
        None => panic!("a confined thread ended without a result"),
    }
}
