import ArgumentParser
import Glibc

/// The environment variables that mean something here: LightLLM's, and one of our own.
enum Environment {
    /// LOADWORKER: threads that load weights.
    static func loaderThreads() throws -> Int { try number("LOADWORKER", 1...256) ?? 1 }

    /// INTERNVL_IMAGE_LENGTH: image tokens a tile becomes; only checked against the tower.
    static func imageLength() throws -> Int? { try number("INTERNVL_IMAGE_LENGTH", 1...65536) }

    /// MAX_PATCH_NUM: the most tiles of a picture, when --max_tiles is not given.
    static func maxTiles() throws -> Int? { try number("MAX_PATCH_NUM", 1...256) }

    /// VIREO_API_KEY: a key that clients must send; nil when it is empty.
    static var apiKey: String? { text("VIREO_API_KEY") }

    private static func text(_ name: String) -> String? {
        guard let pointer = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: pointer)
        return text.isEmpty ? nil : text
    }

    private static func number(_ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let text = text(name) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw ValidationError(
                "the environment variable \(name) must be a number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return value
    }
}

/// The machine's processor.
enum Processor {
    /// How many cores are there to compute on.
    static var coreCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
