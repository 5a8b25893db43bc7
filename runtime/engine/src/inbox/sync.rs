//! The one lock and the one atomic that inboxes are made of.
//!
//! In tests they can be those of a scheduler that tries out interleavings; in the program they are the plain ones.

#[cfg(not(test))]
pub use parking_lot::Mutex;
#[cfg(not(test))]
pub use std::sync::atomic::AtomicUsize;

#[cfg(test)]
pub use checked::{AtomicUsize, Mutex, interleave};

#[cfg(test)]
mod checked {
    use std::cell::Cell;
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::Ordering;

    thread_local! {
        /// This thread runs the scheduler of interleavings, which runs all its tasks on one thread.
        static CHECKED: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `test` again and again, under many interleavings of its tasks.
    pub fn interleave(iterations: usize, test: impl Fn() + Send + Sync + 'static) {
        CHECKED.set(true);
        shuttle::check_random(test, iterations);
        CHECKED.set(false);
    }

    pub enum Mutex<T> {
        Plain(parking_lot::Mutex<T>),
        Checked(shuttle::sync::Mutex<T>),
    }

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            if CHECKED.get() {
                Mutex::Checked(shuttle::sync::Mutex::new(value))
            } else {
                Mutex::Plain(parking_lot::Mutex::new(value))
            }
        }

        pub fn lock(&self) -> Guard<'_, T> {
            match self {
                Mutex::Plain(mutex) => Guard::Plain(mutex.lock()),
                Mutex::Checked(mutex) => {
                    Guard::Checked(mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
                }
            }
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Mutex::new(T::default())
        }
    }

    pub enum Guard<'a, T> {
        Plain(parking_lot::MutexGuard<'a, T>),
        Checked(shuttle::sync::MutexGuard<'a, T>),
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            match self {
                Guard::Plain(guard) => guard,
                Guard::Checked(guard) => guard,
            }
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match self {
                Guard::Plain(guard) => guard,
                Guard::Checked(guard) => guard,
            }
        }
    }

    /// A plain atomic that lets the scheduler run another task before each access.
    #[derive(Debug, Default)]
    pub struct AtomicUsize(std::sync::atomic::AtomicUsize);

    impl AtomicUsize {
        pub fn new(value: usize) -> Self {
            AtomicUsize(value.into())
        }

        pub fn load(&self, order: Ordering) -> usize {
            elsewhere();
            self.0.load(order)
        }

        pub fn store(&self, value: usize, order: Ordering) {
            elsewhere();
            self.0.store(value, order);
        }

        pub fn fetch_add(&self, value: usize, order: Ordering) -> usize {
            elsewhere();
            self.0.fetch_add(value, order)
        }

        pub fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
            elsewhere();
            self.0.fetch_sub(value, order)
        }
    }

    fn elsewhere() {
        if CHECKED.get() {
            shuttle::thread::yield_now();
        }
    }
}
