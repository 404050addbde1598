import JSON
package import Tensors

/// A checkpoint folder: the tensors of `model.safetensors`, or of the shards its index lists, under one table.
package struct Checkpoint: TensorSource {
    package let name: String
    package let byteCount: Int
    private static let pickleEndings = [".bin", ".pt", ".pth", ".ckpt", ".pkl"]
    private let files: [SafetensorsFile]
    /// Which of the files has the tensor.
    private let fileOfTensor: [String: Int]

    /// Maps and checks the weights in `folder`; nothing is read beyond the headers.
    package init(folder: String) throws(CheckpointError) {
        name = folder
        let single = "model.safetensors"
        let index = "model.safetensors.index.json"
        var listed: [String: String] = [:]
        var fileNames = [single]
        if !Files.exists("\(folder)/\(single)") {
            guard let bytes = try Files.read("\(folder)/\(index)", atMost: 256 << 20) else {
                throw try Self.nothingToLoad(folder)
            }
            listed = try Self.weightMap(try ConfigSection.parse(bytes, file: index))
            fileNames = Set(listed.values).sorted()
        }
        var files: [SafetensorsFile] = []
        var fileOfTensor: [String: Int] = [:]
        for fileName in fileNames {
            guard Files.exists("\(folder)/\(fileName)") else {
                throw .missingFile(file: fileName, folder: folder)
            }
            let file = try SafetensorsFile(path: "\(folder)/\(fileName)", name: fileName)
            for tensor in file.entries.keys {
                guard fileOfTensor.updateValue(files.count, forKey: tensor) == nil else {
                    throw .badTensor(
                        file: fileName, tensor: tensor, problem: "another file of the folder has it too")
                }
            }
            files.append(file)
        }
        for (tensor, fileName) in listed.sorted(by: { $0.key < $1.key }) {
            guard let place = fileOfTensor[tensor], files[place].name == fileName else {
                throw .badTensor(
                    file: fileName, tensor: tensor, problem: "\(index) says it is here, but it is not")
            }
        }
        self.files = files
        self.fileOfTensor = fileOfTensor
        // Safe: ranges within mapped files add up to less than the address space.
        byteCount = files.reduce(0) { sum, file in file.entries.values.reduce(sum) { $0 + $1.range.count } }
    }

    package var tensorNames: [String] { fileOfTensor.keys.sorted() }

    /// Bytes that tell it from other checkpoints without all of it being read.
    package var mark: [UInt8] { files.flatMap { Array($0.name.utf8) + $0.mark } }

    package func has(_ tensor: String) -> Bool { fileOfTensor[tensor] != nil }

    package func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor {
        guard let file = fileOfTensor[tensor], let found = try files[file].tensor(tensor, shape: shape) else {
            throw .missingTensor(tensor: tensor, folder: name)
        }
        return found
    }

    /// What is known of a tensor, and its bytes, as they are stored.
    func place(
        of tensor: String,
    ) -> (entry: SafetensorsHeader.Entry, bytes: (Range<Int>) -> [UInt8])? {
        guard let place = fileOfTensor[tensor], let entry = files[place].entries[tensor] else { return nil }
        return (entry, { files[place].bytes(of: entry, $0) })
    }

    /// The tensor → file table of an index, whose files must lie in the folder itself.
    private static func weightMap(_ index: ConfigSection) throws(CheckpointError) -> [String: String] {
        var files: [String: String] = [:]
        for (tensor, value) in try index.requiredSection("weight_map").settings.members {
            guard let file = value.string, file.hasSuffix(".safetensors"), !file.hasPrefix("."),
                !file.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 })
            else {
                throw index.refusal(
                    "weight_map.\(tensor)",
                    "is \(value.summary), but must name a .safetensors file of the folder")
            }
            files[tensor] = file
        }
        guard !files.isEmpty else { throw index.refusal("weight_map", "lists no tensor") }
        return files
    }

    /// The error for a folder without weights that can be loaded.
    private static func nothingToLoad(_ folder: String) throws(CheckpointError) -> CheckpointError {
        let pickle = try Files.list(folder).first { file in pickleEndings.contains { file.hasSuffix($0) } }
        if let pickle { return .pickleOnly(file: pickle, folder: folder) }
        return .missingFile(file: "model.safetensors or model.safetensors.index.json", folder: folder)
    }

    /// Copies what is in `folder` beside weights (configuration, tokenizer, templates) to `target`, making that folder.
    package static func copyOtherFiles(from folder: String, to target: String) throws(CheckpointError) {
        try Files.makeFolder(target)
        let weights = pickleEndings + [".safetensors", ".safetensors.index.json", ".bin.index.json"]
        for file in try Files.list(folder) where !weights.contains(where: { file.hasSuffix($0) }) {
            guard Files.isRegular("\(folder)/\(file)") else { continue }
            try Files.copy("\(folder)/\(file)", to: "\(target)/\(file)")
        }
    }
}
