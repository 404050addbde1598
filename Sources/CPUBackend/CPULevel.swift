import CKernels

/// What a processor can do; each level includes those before it.
package enum CPULevel: Int32, Sendable, CaseIterable, Comparable {
    /// Nothing beyond what every processor of the architecture has.
    case portable = 0
    /// AVX2 with FMA.
    case avx2 = 1
    /// AVX-512 F, BW, VL and DQ.
    case avx512 = 2
    /// AVX-512 with dot products of fours of bytes.
    case avx512vnni = 3
    /// AVX-512 with those and dot products of bf16 pairs.
    case avx512bf16 = 4

    /// The best level of the processor this runs on.
    package static var best: CPULevel { CPULevel(rawValue: vireo_best_level()) ?? .portable }

    /// The level that is fastest on the processor this runs on; not always the best.
    package static var preferred: CPULevel { CPULevel(rawValue: vireo_preferred_level()) ?? .portable }

    package static func < (a: CPULevel, b: CPULevel) -> Bool { a.rawValue < b.rawValue }
}
