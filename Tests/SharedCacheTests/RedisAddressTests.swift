import Testing

@testable import SharedCache

/// URLs of servers.
struct RedisAddressTests {
    @Test func `a URL names host, port, user, password and database`() throws {
        var address = try RedisAddress("redis://cache.example")
        #expect(address.host == "cache.example" && address.port == 6379 && address.database == 0)
        #expect(address.user == nil && address.password == nil && address.greeting.isEmpty)
        address = try RedisAddress("redis://me:p%40ss%2F:1@10.0.0.1:7000/3")
        #expect(address.host == "10.0.0.1" && address.port == 7000 && address.database == 3)
        #expect(address.greeting == [["AUTH", "me", "p@ss/:1"], ["SELECT", "3"]])
        #expect(address.shown == "10.0.0.1:7000/3")
        address = try RedisAddress("redis://:secret@[::1]:6380/")
        #expect(address.host == "::1" && address.port == 6380 && address.shown == "[::1]:6380/0")
        #expect(address.greeting == [["AUTH", "secret"]])
    }

    @Test(arguments: [
        "", "redis", "redis:", "redis://", "redis:///1", "http://host", "REDIS://host", "rediss://host",
        "redis://host:", "redis://host:0", "redis://host:65536", "redis://host:6379x", "redis://host:+1",
        "redis://host:99999999999999999999", "redis://host/x", "redis://host/-1", "redis://host/1/2",
        "redis://host/65536", "redis://secret@host", "redis://user:@host", "redis://:a%2@host",
        "redis://:a%zz@host", "redis://:a%+1@host", "redis://:%ff@host", "redis://ho st", "redis://host?db=1",
        "redis://host#1", "redis://a,b", "redis://[::1", "redis://[]", "redis://[::1]x", "redis://::1",
        "redis://höst", "redis://:secret@", "redis://host\u{0}",
    ])
    func `what is none is refused, and the password is not told`(url: String) {
        let error = #expect(throws: RedisAddressError.self) { try RedisAddress(url) }
        #expect(error?.description.isEmpty == false && error?.description.contains("secret") == false)
    }
}
