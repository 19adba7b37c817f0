import Daemon

await QueryServiceProgram.main()
