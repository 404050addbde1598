import ArgumentParser
import SharedCache

/// Where replicas share the embeddings of pictures.
struct SharedCacheOptions: ParsableArguments {
    @Option(
        name: .flag("cache_redis_url"),
        help:
            "A Valkey or Redis server through which replicas share the embeddings of pictures: redis://[[user]:password@]host[:port][/database]."
    )
    var url: String?

    @Option(name: .flag("cache_redis_ttl"), help: "Seconds that shared embeddings are kept there.")
    var lifetimeSeconds = 86_400

    func validate() throws {
        try Bounds.check("--cache_redis_ttl", lifetimeSeconds, 1...31_536_000)
        _ = try address()
    }

    /// The server's place; nil where nothing is shared.
    func address() throws -> RedisAddress? {
        guard let url else { return nil }
        do throws(RedisAddressError) {
            return try RedisAddress(url)
        } catch {
            throw ValidationError(
                "--cache_redis_url is no URL like redis://:password@host:6379/0: \(error)")
        }
    }

    /// A store on the server; nil where nothing is shared.
    func store() throws -> RedisStore? {
        try address().map { RedisStore($0, lifetimeSeconds: lifetimeSeconds) }
    }

    /// Says on standard error when the server does not do what it is for; it may come later.
    func check(_ store: RedisStore, takesPictures: Bool) throws {
        guard takesPictures else {
            Console.error("--cache_redis_url has no effect: the model takes no pictures")
            return
        }
        guard let complaint = store.complaint(), let address = try address() else { return }
        Console.error(
            "warning: the shared image cache at \(address.shown) is of no use for now: \(complaint); "
                + "pictures are encoded here until it is")
    }
}
