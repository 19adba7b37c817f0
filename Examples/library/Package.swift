// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "loyalty",
    products: [.executable(name: "points-projection", targets: ["points-projection"])],
    dependencies: [.package(name: "millrace", path: "../..")],
    targets: [
        .target(
            name: "Loyalty",
            dependencies: [
                .product(name: "MillraceEvents", package: "millrace"),
                .product(name: "MillraceProjections", package: "millrace"),
                .product(name: "MillraceKafka", package: "millrace"),
                .product(name: "MillracePostgres", package: "millrace"),
            ],
            resources: [.embedInCode("SQL")]),
        .executableTarget(
            name: "points-projection",
            dependencies: ["Loyalty", .product(name: "MillraceProjections", package: "millrace")]),
        .testTarget(
            name: "LoyaltyTests",
            dependencies: ["Loyalty", "points-projection", .product(name: "MillraceTestKit", package: "millrace")]),
    ]
)
