import CImageCodecs

/// The only place where Swift hands memory to C: decoders, resizing, base64 and SHA-256.
enum NativeImageCode {
    /// Decodes what `layout` describes, upright and on white.
    static func decode(_ bytes: [UInt8], layout: ImageLayout) throws(ImageError) -> Pixels {
        // Safe: `ImageLimits` bounds width × height far below 2⁶² / 3, and each side fits 32 bits.
        let byteCount = layout.width * layout.height * 3
        guard let width = UInt32(exactly: layout.width), let height = UInt32(exactly: layout.height) else {
            throw .corrupt(layout.format)
        }
        var status = VIREO_IMAGE_OK
        let stored = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { out, count in
            guard let target = out.baseAddress else { return }
            let code = unsafe bytes.withUnsafeBufferPointer { encoded -> Int32 in
                // Safe: the out buffer has width × height × 3 bytes, and the decoders check the size they find.
                switch layout.format {
                case .jpeg:
                    unsafe vireo_jpeg_decode(encoded.baseAddress, encoded.count, width, height, target)
                case .png: unsafe vireo_png_decode(encoded.baseAddress, encoded.count, width, height, target)
                case .gif: unsafe vireo_gif_decode(encoded.baseAddress, encoded.count, width, height, target)
                case .webp: unsafe decodeWebP(encoded, layout: layout, target: out)
                }
            }
            status = Int(code)
            count = code == 0 ? byteCount : 0
        }
        try check(status, layout.format)
        return orient(stored, layout)
    }

    /// Lays the frame on a canvas that is white, or black where the file has no transparency.
    private static func decodeWebP(
        _ encoded: UnsafeBufferPointer<UInt8>, layout: ImageLayout, target: UnsafeMutableBufferPointer<UInt8>,
    ) -> Int32 {
        guard let frame = layout.frame, frame.bytes.upperBound <= encoded.count, !frame.bytes.isEmpty else {
            return Int32(VIREO_IMAGE_CORRUPT)
        }
        if frame.width != layout.width || frame.height != layout.height {
            unsafe target.initialize(repeating: frame.hasAlpha ? 255 : 0)
        }
        // Safe: the header's reader checked that the frame lies on the canvas, and the target is the whole canvas.
        let first = (frame.y * layout.width + frame.x) * 3
        guard let source = encoded.baseAddress, let base = target.baseAddress else { return 1 }
        return unsafe vireo_webp_decode(
            source + frame.bytes.lowerBound, frame.bytes.count, UInt32(frame.width), UInt32(frame.height),
            frame.hasAlpha ? 1 : 0, base + first, target.count - first, layout.width * 3)
    }

    private static func check(_ status: Int, _ format: ImageFormat) throws(ImageError) {
        switch status {
        case VIREO_IMAGE_OK: return
        case VIREO_IMAGE_TRUNCATED: throw .truncated(format)
        case VIREO_IMAGE_UNSUPPORTED: throw .unsupportedVariant(format)
        case VIREO_IMAGE_TOO_COMPLEX: throw .tooManyScans
        case VIREO_IMAGE_NO_MEMORY: throw .outOfMemory
        default: throw .corrupt(format)
        }
    }

    private static func orient(_ stored: [UInt8], _ layout: ImageLayout) -> Pixels {
        let header = layout.header
        guard layout.orientation != .upright else {
            return Pixels(width: header.width, height: header.height, bytes: stored)
        }
        let turned = unsafe [UInt8](unsafeUninitializedCapacity: stored.count) { out, count in
            // Safe: both buffers hold width × height × 3 bytes.
            unsafe stored.withUnsafeBufferPointer { source in
                unsafe vireo_orient_rgb8(
                    source.baseAddress, layout.width, layout.height, Int32(layout.orientation.rawValue),
                    out.baseAddress)
            }
            count = stored.count
        }
        return Pixels(width: header.width, height: header.height, bytes: turned)
    }

    /// Resizes; `portable` keeps to the loops without wide vectors, which give the same bytes.
    static func resize(
        _ pixels: Pixels, toWidth width: Int, height: Int, filter: ResizeFilter, portable: Bool = false,
    ) -> Pixels {
        let byteCount = width * height * 3
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { out, count in
            // Safe: `Pixels` holds width × height × 3 bytes, and the out buffer as many of the new size.
            let status = unsafe pixels.bytes.withUnsafeBufferPointer { source in
                unsafe vireo_resize_rgb8(
                    source.baseAddress, pixels.width, pixels.height, out.baseAddress, width, height,
                    filter.code, portable ? 1 : 0)
            }
            precondition(status == Int32(VIREO_IMAGE_OK), "resizing found no memory")
            count = byteCount
        }
        return Pixels(width: width, height: height, bytes: bytes)
    }

    /// The taps of `count` output pixels of an axis of `length` pixels, both above zero: how many each has, zero-filled
    /// [taps, count] weights, and where each begins and ends.
    static func taps(from length: Int, to count: Int, filter: ResizeFilter) -> ResizeTaps {
        let tapCount = vireo_resize_tap_count(length, count, filter.code)
        var first = [Int32](repeating: 0, count: count), used = first
        // Safe: C writes `count` numbers to the first two, and as many for each tap to the last.
        let weights = unsafe [Int32](unsafeUninitializedCapacity: tapCount * count) { weights, written in
            let status = unsafe vireo_resize_taps(
                length, count, filter.code, &first, &used, weights.baseAddress)
            precondition(status == Int32(VIREO_IMAGE_OK), "resizing found no memory")
            written = tapCount * count
        }
        let end = zip(first, used).map(+).max() ?? 0
        return ResizeTaps(tapCount: tapCount, first: first, weights: weights, end: Int(end))
    }

    /// Decodes whole groups of four characters; nil when one is outside the alphabet.
    static func decodeBase64(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var isValid = false
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3) { out, count in
            // Safe: C reads text.count / 4 groups and writes three bytes for each.
            isValid = unsafe text.withUnsafeBufferPointer { source in
                unsafe vireo_base64_decode(source.baseAddress, source.count, out.baseAddress) != 0
            }
            count = isValid ? text.count / 4 * 3 : 0
        }
        return isValid ? bytes : nil
    }

    /// The SHA-256 of all fields one after another, 32 bytes; `portable` keeps to the plain rounds.
    static func sha256(_ fields: [[UInt8]], portable: Bool = false) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 32) { out, count in
            var hash = vireo_sha256()
            unsafe vireo_sha256_begin(&hash, portable ? 1 : 0)
            for field in fields {
                unsafe field.withUnsafeBufferPointer { bytes in
                    unsafe vireo_sha256_add(&hash, bytes.baseAddress, bytes.count)
                }
            }
            // Safe: the out buffer has the 32 bytes of a digest.
            unsafe vireo_sha256_end(&hash, out.baseAddress)
            count = 32
        }
    }
}

extension ResizeFilter {
    /// Its number in C.
    fileprivate var code: Int32 {
        switch self {
        case .bilinear: Int32(VIREO_BILINEAR)
        case .bicubic: Int32(VIREO_BICUBIC)
        case .lanczos: Int32(VIREO_LANCZOS)
        }
    }
}
