/// What a picture may cost, checked on its header before anything is decoded.
package struct ImageLimits: Sendable, Hashable {
    /// Encoded bytes.
    package var maxByteCount: Int
    /// Width × height; a decoded pixel takes 3 bytes, and up to 13 while decoding.
    package var maxPixelCount: Int
    /// Longer side over shorter side.
    package var maxAspectRatio: Int

    /// Limits; the defaults are 20 MiB, 64 megapixels and 200.
    package init(maxByteCount: Int = 20 << 20, maxPixelCount: Int = 64_000_000, maxAspectRatio: Int = 200) {
        self.maxByteCount = maxByteCount
        self.maxPixelCount = maxPixelCount
        self.maxAspectRatio = maxAspectRatio
    }

    /// Throws `empty` or `tooManyBytes`.
    func check(byteCount: Int) throws(ImageError) {
        guard byteCount > 0 else { throw .empty }
        guard byteCount <= maxByteCount else { throw .tooManyBytes(count: byteCount, limit: maxByteCount) }
    }

    /// Throws `noPixels`, `tooManyPixels` or `tooElongated`.
    package func check(width: Int, height: Int) throws(ImageError) {
        guard width > 0, height > 0 else { throw .noPixels }
        let area = width.multipliedReportingOverflow(by: height)
        guard !area.overflow, area.partialValue <= maxPixelCount else {
            throw .tooManyPixels(width: width, height: height, limit: maxPixelCount)
        }
        let allowed = min(width, height).multipliedReportingOverflow(by: maxAspectRatio)
        guard allowed.overflow || max(width, height) <= allowed.partialValue else {
            throw .tooElongated(width: width, height: height, limit: maxAspectRatio)
        }
    }
}
