package import Checkpoints
import Synchronization
package import Tensors

extension ModelFamilies {
    /// Every tensor the model of `description` takes, in order of name, as if stored in `elementType`.
    ///
    /// Found by loading from a source and to a device that only take notes; `device` lends its operators.
    package static func tensorList(
        of description: ModelDescription, device: any Device, elementType: ElementType,
    ) throws(ModelError) -> [SafetensorsWriter.Entry] {
        var description = description
        description.text.maxPositions = 1
        let notes = TensorNotes(elementType: elementType)
        _ = try load(
            notes, description: description, device: NotingDevice(operators: device.operators),
            elementType: elementType)
        return notes.entries
    }
}

/// Notes which tensors are asked for, and gives tensors without memory.
private final class TensorNotes: TensorSource {
    let name = "a list of tensors"
    let tensorNames: [String] = []
    let byteCount = 0
    private let elementType: ElementType
    private let shapes = Mutex<[String: Shape]>([:])

    init(elementType: ElementType) { self.elementType = elementType }

    var entries: [SafetensorsWriter.Entry] {
        shapes.withLock { $0 }.sorted { $0.key < $1.key }.map { name, shape in
            SafetensorsWriter.Entry(tensor: name, shape: shape, elementType: elementType)
        }
    }

    func has(_ tensor: String) -> Bool { false }

    func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor {
        shapes.withLock { $0[tensor] = shape }
        return .withoutMemory(shape, elementType)
    }
}

/// Holds nothing.
private struct NotingDevice: Device {
    private struct Weights: LinearWeights {
        let outputCount: Int
        let inputCount: Int
        let byteCount = 0
    }

    private struct Experts: ExpertWeights {
        let count: Int
        let width: Int
        let hidden: Int

        func append(gateUp: [Tensor], down: Tensor) {}
    }

    let name = "a list of tensors"
    let isAsynchronous = false
    let preferredTokensPerStep = 1
    let preferredTilesPerStep = 1
    let operators: any Operators
    let freeByteCount = Int.max

    func checkHeads(headDim: Int, turningPairs: Int) {}
    func checkRows(_ count: Int) {}
    func checkExperts(count: Int, topCount: Int, hidden: Int) {}
    func allocate(byteCount: Int) throws(DeviceError) -> Storage { .withoutMemory(byteCount: byteCount) }
    func write(_ bytes: UnsafeRawBufferPointer, to target: Tensor) {}
    func read(_ source: Tensor, into bytes: UnsafeMutableRawBufferPointer) {}
    func wait() {}
    func check() {}

    func makeSampler(capacity: Int, vocabularyCount: Int) throws(DeviceError) -> any TokenSampler {
        throw .failed("a list of tensors chooses no tokens")
    }

    func paddedCount(_ count: Int) -> Int { count }

    func replay(_ key: ReplayKey, _ body: () throws(DeviceError) -> Void) throws(DeviceError) { try body() }

    func load(_ source: Tensor, as elementType: ElementType) throws(DeviceError) -> Tensor {
        .withoutMemory(source.shape, elementType)
    }

    func prepareLinear(
        weights parts: [Tensor], bias: [Tensor], scale: Tensor?, format: WeightFormat,
    ) throws(DeviceError) -> any LinearWeights {
        Weights(
            outputCount: parts.reduce(0) { $0 + $1.shape[0] }, inputCount: parts.first?.shape.columnCount ?? 0
        )
    }

    func makeExperts(count: Int, width: Int, hidden: Int, format: WeightFormat) -> any ExpertWeights {
        Experts(count: count, width: width, hidden: hidden)
    }
}

extension Storage {
    /// A storage nobody may read or write.
    fileprivate static func withoutMemory(byteCount: Int) -> Storage {
        Storage(address: 0, byteCount: byteCount) { _ in }
    }
}

extension Tensor {
    /// A tensor nobody may read or write.
    fileprivate static func withoutMemory(_ shape: Shape, _ elementType: ElementType) -> Tensor {
        Tensor(
            .withoutMemory(byteCount: shape.elementCount * elementType.byteCount), shape: shape,
            elementType: elementType)
    }
}
