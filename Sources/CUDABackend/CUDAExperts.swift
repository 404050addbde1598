package import Tensors

/// The weights of experts on the device, one behind the other: bf16, row by row.
struct CUDAExperts: ExpertWeights {
    /// bf16 [experts, 2 · I, H]: gates, then values.
    let gateUp: Tensor
    /// bf16 [experts, H, I].
    let down: Tensor
    private let device: CUDADevice
    private var appended = 0

    var count: Int { gateUp.shape[0] }
    var width: Int { down.shape[2] }
    var hidden: Int { down.shape[1] }

    /// Room for `count` experts; sizes are multiples of eight.
    init(count: Int, width: Int, hidden: Int, device: CUDADevice) throws(DeviceError) {
        precondition(width.isMultiple(of: 8) && hidden.isMultiple(of: 8), "sizes in multiples of eight")
        func matrices(_ rows: Int, _ columns: Int) throws(DeviceError) -> Tensor {
            let shape: Shape = [count, rows, columns]
            let storage = try CUDADevice.storage(device.stream, byteCount: shape.elementCount * 2)
            return Tensor(storage, shape: shape, elementType: .bf16)
        }
        gateUp = try matrices(2 * width, hidden)
        down = try matrices(hidden, width)
        self.device = device
    }

    mutating func append(gateUp parts: [Tensor], down matrix: Tensor) throws(DeviceError) {
        precondition(appended < count, "room for the expert")
        precondition(
            parts.reduce(0) { $0 + $1.elementCount } == 2 * width * hidden
                && matrix.elementCount == hidden * width, "gates and values [2 · I, H], down [H, I]")
        let expert = appended..<(appended + 1), (kernels, width, hidden) = (device.kernels, width, hidden)
        let both = gateUp[expert].reshaped([2 * width, hidden]), back = down[expert]
        try device.lanes.withLane { (lane) throws(DeviceError) in
            var row = 0
            for part in parts {
                let rows = row..<(row + part.shape.rowCount)
                try kernels.upload(part, to: both[rows], scale: nil, lane: lane)
                row = rows.upperBound
            }
            try kernels.upload(matrix, to: back.reshaped([hidden, width]), scale: nil, lane: lane)
        }
        appended += 1
    }
}

extension CUDADevice {
    package func makeExperts(
        count: Int, width: Int, hidden: Int, format: WeightFormat,
    ) throws(DeviceError) -> any ExpertWeights {
        try Self.check(format)
        // Now, while nothing is recorded and no rank waits for another.
        try kernels.experts.load()
        return try CUDAExperts(count: count, width: width, hidden: hidden, device: self)
    }
}
