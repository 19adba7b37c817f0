import Daemon

await DeadLetterHandlerProgram.main()
