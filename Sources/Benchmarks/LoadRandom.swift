/// The random numbers of a benchmark, decided by a seed: a congruential generator with the constants of Knuth's MMIX.
package struct LoadRandom: Sendable {
    private var state: UInt64

    /// A generator that `seed` decides.
    package init(seed: UInt64) { state = seed }

    /// 64 bits, of which the upper ones are the better.
    package mutating func next() -> UInt64 {
        // Safe: the generator is defined modulo 2⁶⁴.
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state
    }

    /// A number from 0 to `bound` − 1.
    package mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }

    /// A number in [0, 1).
    package mutating func unit() -> Double { Double(below(1 << 30)) / Double(1 << 30) }
}
