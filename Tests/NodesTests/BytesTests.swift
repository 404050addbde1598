import Nodes
import Testing

struct BytesTests {
    private func written() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(Int64(-5))
        writer.write([Int32(7), -8])
        writer.write(text: "three")
        writer.write(UInt8(1))
        return writer.bytes
    }

    private func read(_ bytes: [UInt8]) throws(LinkError) -> (Int, [Int32], String, Bool) {
        var reader = ByteReader(bytes)
        let values = (
            try reader.read(in: -5...5), try reader.readList(Int32.self), try reader.readText(),
            try reader.readFlag()
        )
        try reader.end()
        return values
    }

    @Test func `what is written is read`() throws {
        let values = try read(written())
        #expect(values == (-5, [7, -8], "three", true))
    }

    @Test func `what is cut short or longer is refused`() {
        let bytes = written()
        for count in bytes.indices {
            #expect(throws: LinkError.malformed) { _ = try read(Array(bytes.prefix(count))) }
        }
        #expect(throws: LinkError.malformed) { _ = try read(bytes + [0]) }
    }

    @Test func `counts that promise more than there is are refused`() {
        var writer = ByteWriter()
        writer.write(UInt32.max)
        #expect(throws: LinkError.malformed) {
            var reader = ByteReader(writer.bytes)
            _ = try reader.readList(Int64.self)
        }
        #expect(throws: LinkError.malformed) {
            var reader = ByteReader(writer.bytes)
            _ = try reader.readEach { (reader) throws(LinkError) in try reader.read(UInt8.self) }
        }
    }
}

struct ConnectionTests {
    /// Both ends of a connection over loopback.
    private func pair() throws -> (Connection, Connection) {
        let listener = try Listener(host: "127.0.0.1", port: 0)
        let client = try Connection.open(host: "127.0.0.1", port: listener.port, seconds: 5)
        var server = listener.accept()
        while server == nil { server = listener.accept() }
        return (client, try #require(server))
    }

    @Test func `bytes arrive as they were sent`() throws {
        let (client, server) = try pair()
        try client.send([1, 2, 3])
        try client.send([4])
        #expect(try server.receive(count: 4) == [1, 2, 3, 4])
    }

    @Test func `who waits hears that the other side has closed, or says nothing`() throws {
        let (client, server) = try pair()
        server.setPatience(milliseconds: 20)
        #expect(throws: LinkError.timedOut) { _ = try server.receive(count: 1) }
        client.shutDown()
        #expect(throws: LinkError.closed) { _ = try server.receive(count: 1) }
        #expect(throws: LinkError.closed) { try client.send([1]) }
    }

    @Test func `what is there is taken without waiting`() throws {
        let (client, server) = try pair()
        var bytes: [UInt8] = []
        #expect(server.receiveReady(into: &bytes, upTo: 4) && bytes.isEmpty)
        try client.send([1, 2, 3, 4, 5])
        while bytes.count < 4 { #expect(server.receiveReady(into: &bytes, upTo: 4)) }
        #expect(bytes == [1, 2, 3, 4])
        client.shutDown()
        #expect(!server.receiveReady(into: &bytes, upTo: 9) || bytes == [1, 2, 3, 4, 5])
    }

    @Test func `a port that nobody listens on is refused`() throws {
        let port = try Listener(host: "127.0.0.1", port: 0).port
        #expect(throws: LinkError.self) { _ = try Connection.open(host: "127.0.0.1", port: port, seconds: 1) }
    }
}
