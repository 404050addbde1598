package import Tensors

/// Why a checkpoint folder is refused.
///
/// Every description names the file and says what to do.
package enum CheckpointError: Error, Hashable, Sendable {
    /// A file or folder cannot be opened, read or written.
    case cannotOpen(path: String, reason: String)
    /// A file the checkpoint needs is not in its folder.
    case missingFile(file: String, folder: String)
    /// The folder has its weights in pickle files only.
    case pickleOnly(file: String, folder: String)
    /// A file breaks the rules of its format.
    case malformed(file: String, problem: String)
    /// The entry of one tensor in a file is wrong.
    case badTensor(file: String, tensor: String, problem: String)
    /// A tensor the model needs is in no file.
    case missingTensor(tensor: String, folder: String)
    /// A tensor is not of the shape the configuration asks for.
    case wrongShape(file: String, tensor: String, expected: Shape, found: [Int])
    /// Tensors of the checkpoint that the model has no place for.
    case unreadTensors([String], folder: String)
    /// The host has no memory for a tensor that must be copied or made.
    case outOfMemory(byteCount: Int)
    /// A setting of a configuration file is missing or unusable.
    case badSetting(file: String, key: String, problem: String)
}

extension CheckpointError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotOpen(let path, let reason):
            "\(path): \(reason); check the path and its permissions"
        case .missingFile(let file, let folder):
            "\(folder): \(file) is missing; download the whole checkpoint folder again"
        case .pickleOnly(let file, let folder):
            "\(folder): the weights are in \(file), a pickle file, and pickle is never loaded because it can run code; "
                + "convert the checkpoint to safetensors"
        case .malformed(let file, let problem):
            "\(file): \(problem); the file is damaged or incomplete, download it again"
        case .badTensor(let file, let tensor, let problem):
            "\(file): tensor \(tensor): \(problem); the file is damaged or unsupported, download or convert it again"
        case .missingTensor(let tensor, let folder):
            "\(folder): tensor \(tensor) is in no file; check that config.json belongs to these weights"
        case .wrongShape(let file, let tensor, let expected, let found):
            "\(file): tensor \(tensor) is \(found), but config.json asks for \(expected.list); "
                + "check that config.json belongs to these weights"
        case .unreadTensors(let names, let folder):
            "\(folder): the model has no place for \(names.count) tensors (\(Self.sample(of: names))); "
                + "check that config.json belongs to these weights"
        case .outOfMemory(let byteCount):
            "the host has no \(byteCount) bytes of memory for a tensor; use a larger machine or a smaller model"
        case .badSetting(let file, let key, let problem):
            "\(file): \(key) \(problem); correct the file or download it again"
        }
    }

    /// The first few names.
    private static func sample(of names: [String]) -> String {
        names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", …" : "")
    }
}
