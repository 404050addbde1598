import CKernels
import Tensors

extension Tensor {
    /// Where the elements lie.
    // Safe: on this device addresses are host pointers; the storage lives while the caller holds the tensor.
    var bytes: UnsafeMutableRawPointer {
        guard let pointer = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
            preconditionFailure("a storage has an address")
        }
        return unsafe pointer
    }

    /// The elements of an f32 tensor.
    // Safe: as `bytes`; the element type is checked, and storages are aligned.
    var floats: UnsafeMutablePointer<Float> {
        precondition(elementType == .f32, "an f32 tensor")
        return unsafe bytes.assumingMemoryBound(to: Float.self)
    }

    /// The elements of an i32 tensor.
    // Safe: as `floats`.
    var integers: UnsafeMutablePointer<Int32> {
        precondition(elementType == .i32, "an i32 tensor")
        return unsafe bytes.assumingMemoryBound(to: Int32.self)
    }
}

extension ElementType {
    /// The kernels' word for a floating-point type.
    var kernelType: vireo_type? {
        switch self {
        case .f32: vireo_type_f32
        case .bf16: vireo_type_bf16
        case .f16: vireo_type_f16
        case .u8, .i32, .i64: nil
        }
    }
}

extension Tensor {
    /// The kernels' word for the type of a table, weights or a cache: bf16 or f32.
    var computingType: vireo_type {
        precondition(elementType == .f32 || elementType == .bf16, "a bf16 or f32 tensor")
        return elementType == .f32 ? vireo_type_f32 : vireo_type_bf16
    }
}
