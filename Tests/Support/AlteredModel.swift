import Foundation
package import Images
package import Models
import Synchronization
package import Tensors

/// A model that a test slows down or spoils, step by step.
package final class AlteredModel: VisionLanguageModel {
    /// What happens to a step.
    package enum Alteration: Sendable {
        case none
        /// It takes this much longer.
        case delay(seconds: Double)
        /// Its logits are not numbers.
        case spoilt
        /// There is no memory for it.
        case refused
        /// The device fails in it, for good.
        case fatal
    }

    private let base: any VisionLanguageModel
    private let device: any Device
    private let alteration: @Sendable (Int) -> Alteration
    private let steps = Atomic<Int>(0)

    /// Takes the model to alter, and what happens to which step, counted from one.
    package init(
        _ base: any VisionLanguageModel, on device: any Device,
        _ alteration: @escaping @Sendable (Int) -> Alteration,
    ) {
        self.base = base
        self.device = device
        self.alteration = alteration
    }

    package var description: ModelDescription { base.description }

    package var cacheHeads: HeadLayout { base.cacheHeads }

    package func encode(
        tiles: Tensor, grids: [TokenGrid], workspace: Workspace,
    ) throws(DeviceError) -> Tensor {
        try base.encode(tiles: tiles, grids: grids, workspace: workspace)
    }

    package func forward(_ batch: Batch, workspace: Workspace) throws(DeviceError) -> Tensor {
        let alteration = alteration(steps.add(1, ordering: .relaxed).newValue)
        if case .refused = alteration { throw .outOfMemory(requested: 1) }
        if case .fatal = alteration { throw .failed("it broke") }
        let logits = try base.forward(batch, workspace: workspace)
        switch alteration {
        case .none, .refused, .fatal: break
        case .delay(let seconds): Thread.sleep(forTimeInterval: seconds)
        case .spoilt: device.write([Float](repeating: .nan, count: logits.elementCount), to: logits)
        }
        return logits
    }
}
