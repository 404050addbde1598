import NIOPosix
import Testing

@testable import Serving

/// Which URLs and addresses pictures may come from.
struct ImageURLTests {
    @Test func `plain URLs are taken apart`() throws {
        let url = try #require(ImageURL("HTTPS://Example.COM:8443/a/b.png?x=1&y=[2]#part"))
        #expect(
            url.isSecure && url.host == "example.com" && url.port == 8_443
                && url.target == "/a/b.png?x=1&y=[2]")
        let short = try #require(ImageURL("http://h"))
        #expect(!short.isSecure && short.port == 80 && short.target == "/" && short.text == "http://h:80/")
        #expect(ImageURL("https://h?q")?.target == "/?q")
        #expect(ImageURL("http://[2001:db8::1]:81/x")?.host == "2001:db8::1")
        #expect(ImageURL("http://[2001:db8::1]:81/x")?.text == "http://[2001:db8::1]:81/x")
    }

    @Test(arguments: [
        "", "http", "http:", "http:/h/x", "http:127.0.0.1", "//h/x", "/etc/hosts", "file:///etc/hosts",
        "FILE:///x", "ftp://h/x",
        "gopher://h/x", "data:image/png;base64,AAAA", "http://", "http:///x", "http://?x", "http://user@h/",
        "http://u:p@h/",
        "http://good.example\\@evil.example/", "http://h\\x/", "http://h/a b", "http://h/\n", "http://h/\t",
        "http://h\r\n/",
        "http://h/\u{0}", "http://h/\u{7f}", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/",
        "http://%31%32%37.0.0.1/", "http://h/é",
        "http://[::1", "http://[::1]x/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[]/",
        "http://[1]/",
        "http://h:/", "http://h:0/", "http://h:65536/", "http://h:x/", "http://h:123456/", "http://h:80:80/",
        "http://.h/",
        "http://h,g/", "http://h;g/", "http://a+b/", "http://h/<x>", "http://h/\"x\"", " http://h/",
        "javascript://h/%0a",
    ])
    func `anything else is refused`(_ text: String) {
        #expect(ImageURL(text) == nil)
    }

    @Test func `a URL that is too long is refused`() {
        #expect(ImageURL("http://h/" + String(repeating: "x", count: 9_000)) == nil)
        #expect(ImageURL("http://" + String(repeating: "x", count: 254) + "/") == nil)
    }

    /// All spellings of loopback, private, reserved and other special addresses, as the system resolves them.
    @Test(arguments: [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "localhost",
        "localhost.", "::1", "::",
        "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "fec0::1", "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255", "169.254.169.254",
        "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.51.100.7", "203.0.113.9",
        "198.18.0.1",
        "192.0.0.8", "0.1.2.3", "2001:db8::1", "2001::1", "2001:10::1", "3fff::1", "100::1", "64:ff9b:1::1",
        "::ffff:0:7f00:1",
    ])
    func `no spelling of a special address passes`(_ host: String) async throws {
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        let addresses = try await SystemResolver(threads: threads).resolve(host).map(\.address)
        #expect(!AddressPolicy(allowsLocal: false).allows(addresses), "\(addresses)")
        try await threads.shutdownGracefully()
    }

    @Test func `addresses are told apart by their reach`() {
        func reach(_ bytes: [UInt8]) -> HostAddress.Reach { HostAddress(bytes: bytes).reach }
        #expect(
            reach([8, 8, 8, 8]) == .global && reach([1, 1, 1, 1]) == .global
                && reach([172, 32, 0, 1]) == .global)
        #expect(
            reach([100, 63, 0, 1]) == .global && reach([100, 128, 0, 1]) == .global
                && reach([192, 169, 0, 1]) == .global)
        #expect(
            reach([127, 9, 9, 9]) == .local && reach([10, 1, 2, 3]) == .local
                && reach([192, 168, 1, 1]) == .local)
        #expect(
            reach([169, 254, 169, 254]) == .refused && reach([0, 0, 0, 0]) == .refused
                && reach([255, 255, 255, 255]) == .refused)
        let google: [UInt8] = [0x20, 0x01, 0x48, 0x60] + Array(repeating: 0, count: 11) + [1]
        #expect(reach(google) == .global)
        let translated: [UInt8] = [0, 0x64, 0xff, 0x9b] + Array(repeating: 0, count: 8) + [8, 8, 8, 8]
        #expect(reach(translated) == .global)
        #expect(reach([1, 2, 3]) == .refused)
    }

    @Test func `one special address among others refuses them all`() {
        let global = HostAddress(bytes: [8, 8, 8, 8])
        let local = HostAddress(bytes: [127, 0, 0, 1])
        let reserved = HostAddress(bytes: [169, 254, 169, 254])
        #expect(AddressPolicy(allowsLocal: false).allows([global]))
        #expect(!AddressPolicy(allowsLocal: false).allows([global, local]))
        #expect(!AddressPolicy(allowsLocal: false).allows([]))
        #expect(AddressPolicy(allowsLocal: true).allows([global, local]))
        #expect(!AddressPolicy(allowsLocal: true).allows([local, reserved]))
    }
}
