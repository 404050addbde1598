import Glibc

/// A queue between threads: anyone posts, one thread takes everything at once and may sleep until something is there.
@safe final class Mailbox<Element: Sendable>: @unchecked Sendable {
    // Safe: `elements` is touched only between lock and unlock; the primitives live as long as the object.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var elements: [Element] = []

    init() {
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Adds an element and wakes the taker.
    func post(_ element: Element) {
        unsafe pthread_mutex_lock(mutex)
        elements.append(element)
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// All elements in the order of posting; with `waiting` sleeps until there is one.
    func takeAll(waiting: Bool) -> [Element] {
        unsafe pthread_mutex_lock(mutex)
        while waiting && elements.isEmpty { unsafe pthread_cond_wait(condition, mutex) }
        let taken = elements
        elements = []
        unsafe pthread_mutex_unlock(mutex)
        return taken
    }

    /// The oldest element; sleeps until there is one.
    ///
    /// Several threads may take so.
    func takeOne() -> Element {
        unsafe pthread_mutex_lock(mutex)
        while elements.isEmpty { unsafe pthread_cond_wait(condition, mutex) }
        let taken = elements.removeFirst()
        unsafe pthread_mutex_unlock(mutex)
        return taken
    }
}
