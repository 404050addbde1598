/// Pages of keys and values: those that running requests write, and full ones kept for sequences that begin alike.
///
/// Kept pages form a tree: a node is one full page, its path from the root the tokens before it. A request holds the
/// nodes of its path. Nodes nobody holds stand in a queue, children before their parents, and are evicted from its front:
/// those let go of longest ago. Every page is in exactly one place: free, owned by a request, or in the tree.
package struct PrefixCache: Sendable {
    /// A node of the tree.
    struct NodeIndex: Hashable, Sendable {
        let value: Int
    }

    private struct Node: Sendable {
        let page: PageIndex
        let parent: NodeIndex?
        let content: [TokenKey]
        var children: [[TokenKey]: NodeIndex] = [:]
        /// How many requests hold it; never fewer than of any child.
        var holders = 0
        /// Neighbours in the queue of nodes nobody holds.
        var previous: NodeIndex?
        var next: NodeIndex?
    }

    /// Tokens of a page.
    package let pageSize: Int
    /// How many pages were evicted so far.
    package private(set) var evictionCount = 0
    private var pool: PagePool
    private var nodes: [NodeIndex: Node] = [:]
    private var roots: [[TokenKey]: NodeIndex] = [:]
    private var nextIndex = 0
    /// The queue of nodes nobody holds: its ends and its length.
    private var first: NodeIndex?
    private var last: NodeIndex?
    private var idleCount = 0

    /// `pageCount` free pages of `pageSize` tokens, and an empty tree.
    package init(pageCount: Int, pageSize: Int) {
        self.pageSize = pageSize
        pool = PagePool(pageCount: pageCount)
    }

    /// Pages that can be taken: free ones, and those of nodes nobody holds.
    package var availableCount: Int { pool.freeCount + idleCount }
    /// Pages in the tree.
    package var keptCount: Int { nodes.count }
    /// Pages that requests own or hold.
    package var usedCount: Int { pool.pageCount - availableCount }

    /// Takes `count` pages for a request to own, evicting what nobody holds; all or nothing.
    package mutating func take(_ count: Int) -> [PageIndex]? {
        guard count <= availableCount else { return nil }
        while pool.freeCount < count { evictOne() }
        return pool.take(count)
    }

    /// Frees pages a request owned.
    package mutating func release(_ pages: [PageIndex]) { pool.release(pages) }

    /// How many whole pages of `keys` are kept, and how many of those nobody holds now.
    func matchLength(_ keys: ArraySlice<TokenKey>) -> (pages: Int, idlePages: Int) {
        let path = path(of: keys)
        return (path.count, path.count { nodes[$0]?.holders == 0 })
    }

    /// Holds the kept pages that `keys` begin with; answers the nodes, in order.
    mutating func hold(_ keys: ArraySlice<TokenKey>) -> [NodeIndex] {
        let path = path(of: keys)
        for index in path { hold(index) }
        return path
    }

    /// Lets go of a path.
    ///
    /// Its deepest node is queued first, so that children stay before their parents.
    mutating func letGo(_ path: [NodeIndex]) {
        for index in path.reversed() {
            guard let holders = nodes[index]?.holders else { continue }
            precondition(holders > 0, "a node is let go of once")
            nodes[index]?.holders = holders - 1
            if holders == 1 { enqueue(index) }
        }
    }

    /// The pages of nodes, in order.
    func pages(of path: [NodeIndex]) -> [PageIndex] { path.compactMap { nodes[$0]?.page } }

    /// Puts full pages that a request owns into the tree, below the nodes it holds, and holds them for it.
    ///
    /// `pages` hold the tokens of `keys`, a page each. Where the tree has a page of the same tokens already, the
    /// request's own is freed. Answers the request's whole path.
    mutating func insert(_ keys: ArraySlice<TokenKey>, pages: [PageIndex], below path: [NodeIndex])
        -> [NodeIndex]
    {
        var path = path
        for (number, page) in pages.enumerated() {
            let content = Array(keys.dropFirst(number * pageSize).prefix(pageSize))
            let parent = path.last
            if let existing = child(content, of: parent) {
                hold(existing)
                pool.release([page])
                path.append(existing)
                continue
            }
            let index = NodeIndex(value: nextIndex)
            nextIndex += 1
            var node = Node(page: page, parent: parent, content: content)
            node.holders = 1
            nodes[index] = node
            if let parent { nodes[parent]?.children[content] = index } else { roots[content] = index }
            path.append(index)
        }
        return path
    }

    private func path(of keys: ArraySlice<TokenKey>) -> [NodeIndex] {
        var path: [NodeIndex] = []
        var start = keys.startIndex
        while start + pageSize <= keys.endIndex,
            let next = child(Array(keys[start..<(start + pageSize)]), of: path.last)
        {
            path.append(next)
            start += pageSize
        }
        return path
    }

    private func child(_ content: [TokenKey], of parent: NodeIndex?) -> NodeIndex? {
        guard let parent else { return roots[content] }
        return nodes[parent]?.children[content]
    }

    private mutating func hold(_ index: NodeIndex) {
        if nodes[index]?.holders == 0 { dequeue(index) }
        nodes[index]?.holders += 1
    }

    private mutating func enqueue(_ index: NodeIndex) {
        nodes[index]?.previous = last
        nodes[index]?.next = nil
        if let last { nodes[last]?.next = index } else { first = index }
        last = index
        idleCount += 1
    }

    private mutating func dequeue(_ index: NodeIndex) {
        guard let node = nodes[index] else { return }
        if let previous = node.previous { nodes[previous]?.next = node.next } else { first = node.next }
        if let next = node.next { nodes[next]?.previous = node.previous } else { last = node.previous }
        idleCount -= 1
    }

    /// Frees the page at the front of the queue, a leaf.
    private mutating func evictOne() {
        guard let index = first else { return }
        dequeue(index)
        guard let node = nodes.removeValue(forKey: index) else { return }
        if let parent = node.parent {
            nodes[parent]?.children[node.content] = nil
        } else {
            roots[node.content] = nil
        }
        evictionCount += 1
        pool.release([node.page])
    }

    /// The broken rules, for checking: `owned` are the pages of requests, `held` how often each node is held.
    func violations(owned: [PageIndex], held: [NodeIndex: Int]) -> [String] {
        var found: [String] = []
        let pages = owned + nodes.values.map(\.page) + pool.freePages
        if Set(pages).count != pages.count || pages.count != pool.pageCount { found.append("pages are lost") }
        for (index, node) in nodes {
            if node.holders != held[index, default: 0] { found.append("a node counts its holders wrongly") }
            if let parent = node.parent, (nodes[parent]?.holders ?? -1) < node.holders {
                found.append("a node is held and its parent is not")
            }
        }
        var queued: Set<NodeIndex> = []
        var place = first
        while let index = place, queued.count <= nodes.count {
            if let parent = nodes[index]?.parent, queued.contains(parent) {
                found.append("a parent before its child")
            }
            queued.insert(index)
            place = nodes[index]?.next
        }
        if queued.count != idleCount { found.append("the queue is broken") }
        if idleCount != nodes.values.count(where: { $0.holders == 0 }) {
            found.append("idle pages are miscounted")
        }
        return found
    }
}
