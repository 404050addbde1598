package import Checkpoints
package import Tensors

/// Why a model cannot be described or loaded.
package enum ModelError: Error, Hashable, Sendable {
    /// Its files are damaged or unsupported.
    case checkpoint(CheckpointError)
    /// The device has no room for it.
    case device(DeviceError)
    /// No family answers to its architecture.
    case unknownArchitecture(found: String, supported: [String])
}

extension ModelError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .checkpoint(let error): error.description
        case .device(.outOfMemory(let byteCount)):
            "the device has no room for \(byteCount) more bytes of weights; use a larger one or a smaller model"
        case .device(.failed(let reason)): reason
        case .device(.unsupportedConversion(let from, let to)):
            "the device cannot convert \(from.rawValue) weights to \(to.rawValue); choose another element type"
        case .unknownArchitecture(let found, let supported):
            "config.json: the architecture \(found) is not supported; supported are \(supported.joined(separator: ", "))"
        }
    }

    /// The value of `body`, its error as one of a model.
    static func wrapping<Value>(_ body: () throws(CheckpointError) -> Value) throws(ModelError) -> Value {
        do throws(CheckpointError) { return try body() } catch { throw .checkpoint(error) }
    }

    /// The value of `body`, its error as one of a model.
    static func wrapping<Value>(_ body: () throws(DeviceError) -> Value) throws(ModelError) -> Value {
        do throws(DeviceError) { return try body() } catch { throw .device(error) }
    }
}
