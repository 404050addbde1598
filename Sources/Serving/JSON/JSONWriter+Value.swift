import JSON

extension JSONWriter {
    /// A whole value.
    mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let bool): self.bool(bool)
        case .int(let int): self.int(int)
        case .double(let double): number(double)
        case .string(let string): self.string(string)
        case .array(let values): array { for each in values { $0.value(each) } }
        case .object(let object):
            self.object { json in
                for (key, each) in object.members {
                    json.key(key)
                    json.value(each)
                }
            }
        }
    }
}
