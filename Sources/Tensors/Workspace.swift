import Synchronization

/// Scratch memory of a forward pass: tensors are cut off one after another, and all given back at once.
///
/// It grows to what the largest pass so far needed and then allocates no more, so that addresses repeat from pass to
/// pass. Owned by one thread.
package final class Workspace {
    private let device: any Device
    private var blocks: [Storage] = []
    private var blockIndex = 0
    private var used = 0
    /// Bytes taken and not given back, and the most there ever were.
    private var total = 0
    private var peak = 0
    /// Names where the tensors lie: another number whenever memory is taken from the device, and for every workspace.
    package private(set) var generation = Workspace.nextGeneration()
    private static let generations = Atomic<Int>(0)

    private static func nextGeneration() -> Int { generations.add(1, ordering: .relaxed).newValue }

    /// An empty workspace on `device`, with `byteCount` bytes to begin with.
    package init(device: any Device, byteCount: Int) throws(DeviceError) {
        self.device = device
        if byteCount > 0 { blocks = [try device.allocate(byteCount: byteCount)] }
    }

    /// A tensor of unspecified content that is valid until the next `reset`.
    package func take(_ shape: Shape, _ elementType: ElementType) throws(DeviceError) -> Tensor {
        // Safe: shapes come from the model's configuration and the batch limits, far below overflow.
        let byteCount = max(64, (shape.elementCount * elementType.byteCount + 63) / 64 * 64)
        while blockIndex < blocks.count, used + byteCount > blocks[blockIndex].byteCount {
            blockIndex += 1
            used = 0
        }
        if blockIndex == blocks.count {
            blocks.append(try device.allocate(byteCount: max(byteCount, 16 << 20)))
            generation = Self.nextGeneration()
            used = 0
        }
        let tensor = Tensor(blocks[blockIndex], byteOffset: used, shape: shape, elementType: elementType)
        used += byteCount
        total += byteCount
        peak = max(peak, total)
        return tensor
    }

    /// Gives back every tensor taken since the last reset; several blocks become one.
    package func reset() {
        if blocks.count > 1, let joined = try? device.allocate(byteCount: peak) {
            blocks = [joined]
            generation = Self.nextGeneration()
        }
        blockIndex = 0
        used = 0
        total = 0
    }

    /// Where the next tensor will be cut; pass it to `rewind(to:)` to give back only what was taken since.
    package struct Mark { fileprivate let blockIndex: Int, used: Int, total: Int }
    /// The present mark.
    package var mark: Mark { Mark(blockIndex: blockIndex, used: used, total: total) }
    /// Gives back what was taken since `mark`.
    package func rewind(to mark: Mark) {
        blockIndex = mark.blockIndex
        used = mark.used
        total = mark.total
    }
}
