import CKernels
import Tensors

/// The weights of a product in panels of 32 outputs, in the order the kernels read them.
final class PackedWeights: LinearWeights {
    let outputCount: Int
    let inputCount: Int
    /// The kernels' word for bf16, f32, int8 or int4.
    let type: vireo_type
    /// The panels.
    let panels: Storage
    /// f32 [outputCount], if there is one.
    let bias: Tensor?
    /// f32 [outputCount], if what is added to the stream is scaled.
    let scale: Tensor?

    var byteCount: Int { panels.byteCount + (bias?.byteCount ?? 0) + (scale?.byteCount ?? 0) }

    /// Packs `parts`, each a host tensor [rows, K] of any floating-point type, one below another.
    init(
        parts: [Tensor], bias biasParts: [Tensor], scale: Tensor?, format: WeightFormat,
        device: CPUDevice,
        pool: WorkerPool,
    ) throws(DeviceError) {
        guard let first = parts.first else { preconditionFailure("weights have at least one part") }
        precondition(
            parts.allSatisfy { $0.shape.columnCount == first.shape.columnCount }, "parts of equal width")
        inputCount = first.shape.columnCount
        switch format {
        case .plain(.f32): type = vireo_type_f32
        case .plain(.bf16): type = vireo_type_bf16
        case .plain(let elementType):
            throw .unsupportedConversion(from: first.elementType, to: elementType)
        case .int8: type = vireo_type_int8
        case .int4: type = vireo_type_int4
        }
        outputCount = parts.reduce(0) { $0 + $1.shape.rowCount }
        panels = try device.allocate(byteCount: vireo_packed_byte_count(outputCount, inputCount, type))
        bias = try PackedWeights.stack(biasParts, count: outputCount, device: device, pool: pool)
        self.scale = try PackedWeights.stack(
            scale.map { [$0] } ?? [], count: outputCount, device: device, pool: pool)
        var row = 0
        for part in parts {
            guard let from = part.elementType.kernelType else {
                throw .unsupportedConversion(from: part.elementType, to: .f32)
            }
            let rowCount = part.shape.rowCount
            // Safe: the panels were sized for all rows; the kernel asks the source for no alignment.
            unsafe vireo_pack_rows(
                pool.handle, part.bytes, from, rowCount, inputCount, row,
                UnsafeMutableRawPointer(bitPattern: panels.address), type)
            row += rowCount
        }
    }

    /// The parts of a bias or scale one after another as f32 [count]; nil for none.
    private static func stack(
        _ parts: [Tensor], count: Int, device: CPUDevice, pool: WorkerPool,
    ) throws(DeviceError) -> Tensor? {
        if parts.isEmpty { return nil }
        precondition(parts.reduce(0) { $0 + $1.elementCount } == count, "a value for each row")
        let stacked = try device.makeTensor([count], .f32)
        var start = 0
        for part in parts {
            guard let from = part.elementType.kernelType else {
                throw .unsupportedConversion(from: part.elementType, to: .f32)
            }
            let target = stacked[start..<(start + part.elementCount)]
            // Safe: the target is a part of `stacked` of as many elements.
            unsafe vireo_convert(
                pool.handle, part.bytes, from, target.bytes, vireo_type_f32, part.elementCount)
            start += part.elementCount
        }
        return stacked
    }
}
