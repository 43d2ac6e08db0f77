/** Props whose text a test lets grow. */
export class Growing {
    text = $state('');
    streaming = false;

    constructor(text: string) {
        this.text = text;
    }
}
